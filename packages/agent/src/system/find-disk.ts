import { readdirSync, readFileSync } from "node:fs";

/** A device by its serial: disks are never told apart by the order in which they were probed. */
export function findDisk(serial: string): string | undefined {
  const name = readdirSync("/sys/block").find((entry) => {
    try {
      return readFileSync(`/sys/block/${entry}/serial`, "latin1").trim() === serial;
    } catch {
      return false;
    }
  });
  return name === undefined ? undefined : `/dev/${name}`;
}
