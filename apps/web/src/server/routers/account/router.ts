import { router } from "#server/trpc/trpc.ts";
import { remove } from "./delete.ts";
import { me } from "./me.ts";
import { receipts } from "./receipts.ts";
import { usage } from "./usage.ts";

export const accountRouter = router({ me, receipts, usage, delete: remove });
