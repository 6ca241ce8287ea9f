"use client";
import { useQueryClient } from "@tanstack/react-query";
import { toast } from "sonner";
import type { TemplateView } from "#server/domain/template/template-view.ts";
import { useTRPC, useTRPCClient } from "#trpc/client.tsx";
import { DeleteDialog } from "#ui/delete-dialog.tsx";

export interface DeleteTemplateDialogProps {
  /** Undefined: closed. */
  template: TemplateView | undefined;
  onClose: () => void;
}

export function DeleteTemplateDialog({ template, onClose }: DeleteTemplateDialogProps) {
  const trpc = useTRPC();
  const client = useTRPCClient();
  const queryClient = useQueryClient();
  const remove = async () => {
    if (!template) return;
    try {
      await client.template.delete.mutate({ id: template.id });
    } finally {
      await queryClient.invalidateQueries(trpc.template.list.queryFilter());
    }
    toast(`${template.name} is deleted`);
  };
  return (
    <DeleteDialog
      title={template && `Delete template ${template.name}?`}
      text="Its key is destroyed. Workspaces that began from it keep everything they have."
      onDelete={remove}
      onClose={onClose}
    />
  );
}
