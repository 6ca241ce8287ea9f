import { join } from "node:path";
import { jailPath } from "./jail.ts";
import { layerFileName } from "./layer-files.ts";
import { FILE_NAMES } from "./qemu-arguments.ts";

/** Of a live machine's layer, as the machine itself sees it: found without knowing where its disk lies. */
export const layerPath = (pid: number, layerId: string) =>
  join(`/proc/${pid}/root`, jailPath(FILE_NAMES.layers), layerFileName(layerId));
