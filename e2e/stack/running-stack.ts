import { z } from "zod";

/** What the specs know of the stack under test. Set once by start-stack.ts, read by the worker. */
const runningStack = z.object({
  webUrl: z.url(),
  previewPort: z.number(),
  gatewayPort: z.number(),
  dataDirectory: z.string(),
  cacheDirectory: z.string(),
  databaseOwnerUrl: z.string(),
  hostdSocket: z.string(),
  /** Where the OpenID Connect provider of the run listens. */
  oidcIssuer: z.url(),
  idlePauseSeconds: z.number(),
});
export type RunningStack = z.infer<typeof runningStack>;

const VARIABLE = "ATOLL_E2E_STACK";

export function publishStack(stack: RunningStack): void {
  process.env[VARIABLE] = JSON.stringify(stack);
}

export function stackUnderTest(): RunningStack {
  const text = process.env[VARIABLE];
  if (text === undefined) throw new Error("no stack is running");
  return runningStack.parse(JSON.parse(text));
}
