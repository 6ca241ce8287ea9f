import { env } from "#env.ts";
import { currentSession } from "../auth/current-session.ts";
import { webProcess } from "../web-process.ts";
import type { TrpcContext } from "./trpc.ts";

/** @param origin the request's `Origin`; pages rendered on the server are our own. */
export async function createContext(origin: string | null | "server"): Promise<TrpcContext> {
  const { webUrl, idlePauseSeconds } = env();
  return {
    process: webProcess(),
    session: await currentSession(),
    isOwnOrigin: origin === "server" || origin === webUrl.origin,
    idlePauseSeconds,
  };
}
