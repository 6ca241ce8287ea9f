"use client";
import type { CheckpointInfo } from "@atoll/protocol/hostd-api";
import type { FormEvent } from "react";
import { Dialog } from "#ui/dialog.tsx";
import { FormActions } from "#ui/form-actions.tsx";

export interface RestoreDialogProps {
  checkpoint: CheckpointInfo | undefined;
  onClose: () => void;
  onRestore: (checkpoint: CheckpointInfo) => Promise<void>;
}

export function RestoreDialog({ checkpoint, onClose, onRestore }: RestoreDialogProps) {
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (checkpoint) void onRestore(checkpoint);
    onClose();
  };
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
      <form onSubmit={submit} className="grid gap-5">
        <p className="text-ink-soft text-sm">
          First a safety checkpoint of the present state is made. It stays in the timeline, and “Undo restore”
          brings it back whole.
        </p>
        <FormActions submit="Restore" onCancel={onClose} />
      </form>
    </Dialog>
  );
}
