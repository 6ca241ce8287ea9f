import { router } from "#server/trpc/trpc.ts";
import { create } from "./create.ts";
import { remove } from "./delete.ts";
import { list } from "./list.ts";
import { restore } from "./restore.ts";
import { restorePaths } from "./restore-paths.ts";

export const checkpointRouter = router({ list, create, delete: remove, restore, restorePaths });
