"use client";
import { useQuery } from "@tanstack/react-query";
import { useTRPC } from "#trpc/client.tsx";
import { dateWords } from "#ui/date-words.ts";

export interface StateChooserProps {
  workspaceId: string;
  checkpointId: string | null;
  onChoose: (checkpointId: string | null) => void;
}

/** Which state is looked at: the disk as it lies there, or one of the checkpoints. */
export function StateChooser({ workspaceId, checkpointId, onChoose }: StateChooserProps) {
  const trpc = useTRPC();
  const { data } = useQuery(trpc.checkpoint.list.queryOptions({ workspaceId }));
  const checkpoints = data?.checkpoints ?? [];
  const isListed = checkpoints.some((checkpoint) => checkpoint.checkpointId === checkpointId);
  return (
    <select
      aria-label="State"
      value={checkpointId ?? ""}
      onChange={(event) => onChoose(event.target.value === "" ? null : event.target.value)}
      className="h-7 max-w-72 rounded-md border border-line-strong bg-surface px-2 text-xs"
    >
      <option value="">As it lies there now</option>
      {checkpointId !== null && !isListed ? <option value={checkpointId}>A checkpoint</option> : null}
      {checkpoints.map(({ checkpointId: id, name, createdAtMs }) => (
        <option key={id} value={id}>
          {name} ({dateWords(createdAtMs, Date.now())})
        </option>
      ))}
    </select>
  );
}
