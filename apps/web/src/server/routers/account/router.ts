import { router } from "#server/trpc/trpc.ts";
import { remove } from "./delete.ts";
import { me } from "./me.ts";

export const accountRouter = router({ me, delete: remove });
