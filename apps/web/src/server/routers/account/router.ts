import { router } from "#server/trpc/trpc.ts";
import { remove } from "./delete.ts";
import { me } from "./me.ts";
import { receipts } from "./receipts.ts";

export const accountRouter = router({ me, receipts, delete: remove });
