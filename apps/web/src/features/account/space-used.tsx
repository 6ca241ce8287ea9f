"use client";
import { useQuery } from "@tanstack/react-query";
import { useTRPC } from "#trpc/client.tsx";
import { byteWords } from "#ui/byte-words.ts";
import { toFailure } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { Spinner } from "#ui/spinner.tsx";
import { countWords } from "./usage-words.ts";

/** Asked of the host when somebody looks: the rest of the page does not wait for it. */
export function SpaceUsed() {
  const trpc = useTRPC();
  const { data, error } = useQuery(trpc.account.usage.queryOptions());
  if (error) {
    return (
      <div className="p-5">
        <FailureNote failure={toFailure(error)} />
      </div>
    );
  }
  if (data === undefined) {
    return (
      <p className="flex items-center gap-2 p-5 text-ink-soft text-sm">
        <Spinner className="size-3.5" /> Adding it up…
      </p>
    );
  }
  return (
    <div className="grid gap-3 p-5 text-sm">
      <p>
        <strong className="font-semibold tabular-nums">
          {byteWords(data.layerBytes + data.snapshotBytes)}
        </strong>{" "}
        in all: {byteWords(data.layerBytes)} of files and {byteWords(data.snapshotBytes)} of saved memory.
      </p>
      <p className="text-ink-soft">{countWords(data)}</p>
    </div>
  );
}
