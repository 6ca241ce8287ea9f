import { router } from "#server/trpc/trpc.ts";
import { ticket } from "./ticket.ts";

export const sessionRouter = router({ ticket });
