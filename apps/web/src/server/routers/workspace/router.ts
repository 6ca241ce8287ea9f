import { router } from "#server/trpc/trpc.ts";
import { create } from "./create.ts";
import { remove } from "./delete.ts";
import { fork } from "./fork.ts";
import { get } from "./get.ts";
import { keepAwake } from "./keep-awake.ts";
import { list } from "./list.ts";
import { pause } from "./pause.ts";
import { rename } from "./rename.ts";
import { resume } from "./resume.ts";
import { setEgress } from "./set-egress.ts";
import { stop } from "./stop.ts";
import { watch } from "./watch.ts";

export const workspaceRouter = router({
  list,
  get,
  create,
  fork,
  keepAwake,
  pause,
  resume,
  stop,
  delete: remove,
  rename,
  setEgress,
  watch,
});
