import { router } from "#server/trpc/trpc.ts";
import { open } from "./open.ts";

export const previewRouter = router({ open });
