import { createCaller } from "#server/routers/root.ts";
import { createContext } from "#server/trpc/create-context.ts";

/** For pages rendered on the server: the same procedures, called directly. */
export async function serverCaller() {
  return createCaller(await createContext("server"));
}
