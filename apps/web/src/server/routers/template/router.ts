import { router } from "#server/trpc/trpc.ts";
import { create } from "./create.ts";
import { remove } from "./delete.ts";
import { list } from "./list.ts";
import { publish } from "./publish.ts";

export const templateRouter = router({ list, create, publish, delete: remove });
