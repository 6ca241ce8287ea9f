import { AtollError } from "@atoll/protocol/atoll-error";
import { VIEW_ROOT } from "@atoll/protocol/messages/views";

/** @throws AtollError view.read_only for a change to what a view shows */
export function refuseView(...paths: string[]): void {
  for (const path of paths) {
    const names = path.split("/").filter((name) => name !== "" && name !== ".");
    if (`/${names[0] ?? ""}` === VIEW_ROOT) throw new AtollError("view.read_only");
  }
}
