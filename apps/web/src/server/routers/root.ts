import { createCallerFactory, router } from "../trpc/trpc.ts";
import { accountRouter } from "./account/router.ts";
import { checkpointRouter } from "./checkpoint/router.ts";
import { previewRouter } from "./preview/router.ts";
import { sessionRouter } from "./session/router.ts";
import { templateRouter } from "./template/router.ts";
import { workspaceRouter } from "./workspace/router.ts";

export const rootRouter = router({
  workspace: workspaceRouter,
  checkpoint: checkpointRouter,
  template: templateRouter,
  session: sessionRouter,
  preview: previewRouter,
  account: accountRouter,
});
export type RootRouter = typeof rootRouter;
export const createCaller = createCallerFactory(rootRouter);
