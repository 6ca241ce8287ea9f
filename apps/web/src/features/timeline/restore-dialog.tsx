"use client";
import type { CheckpointInfo } from "@atoll/protocol/hostd-api";
import { Button } from "#ui/button.tsx";
import { Dialog, DialogActions } from "#ui/dialog.tsx";

export interface RestoreDialogProps {
  checkpoint: CheckpointInfo | undefined;
  onClose: () => void;
  onRestore: (checkpoint: CheckpointInfo) => Promise<void>;
}

export function RestoreDialog({ checkpoint, onClose, onRestore }: RestoreDialogProps) {
  return (
    <Dialog
      open={checkpoint !== undefined}
      onOpenChange={(open) => !open && onClose()}
      title={`Restore “${checkpoint?.name ?? ""}”?`}
      description={
        checkpoint?.hasMemory
          ? "Files, running programs and terminals go back to how they were."
          : "Files go back to how they were; programs are restarted."
      }
    >
      <p className="text-ink-soft text-sm">
        First a safety checkpoint of the present state is made. It stays in the timeline, and “Undo restore”
        brings it back whole.
      </p>
      <DialogActions>
        <Button onClick={onClose}>Cancel</Button>
        <Button
          tone="primary"
          autoFocus
          onClick={() => {
            if (checkpoint) void onRestore(checkpoint);
            onClose();
          }}
        >
          Restore
        </Button>
      </DialogActions>
    </Dialog>
  );
}
