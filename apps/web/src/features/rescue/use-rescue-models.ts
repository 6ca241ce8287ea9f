"use client";
import { AtollError } from "@atoll/protocol/atoll-error";
import { useEffect, useState } from "react";
import { useTRPCClient } from "#trpc/client.tsx";
import { toFailure } from "#ui/failure.ts";
import { createRescueModels, type RescueModels } from "./rescue-models.ts";

export interface RescueTarget {
  workspaceId: string;
  gatewayUrl: string;
  /** Null: the disk as it lies there. */
  checkpointId: string | null;
}

/** The models of this page, for as long as it is shown. */
export function useRescueModels({
  workspaceId,
  gatewayUrl,
  checkpointId,
}: RescueTarget): RescueModels | undefined {
  const client = useTRPCClient();
  const [models, setModels] = useState<RescueModels>();
  useEffect(() => {
    const made = createRescueModels({
      gatewayUrl,
      async fetchTicket() {
        try {
          return (await client.session.ticket.mutate({ workspaceId, view: { checkpointId } })).ticket;
        } catch (error) {
          const { code, details } = toFailure(error);
          throw new AtollError(code, undefined, { details });
        }
      },
    });
    made.connection.start();
    setModels(made);
    return () => made.close();
  }, [client, workspaceId, gatewayUrl, checkpointId]);
  return models;
}
