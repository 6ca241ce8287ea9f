import type { ErasureReceipt } from "./erasure-receipt.ts";

/** Seconds are enough for people; the file has milliseconds. */
export function utc(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** What a receipt says once it was found valid, one sentence each. */
export function describeReceipt(receipt: ErasureReceipt): string[] {
  const { scope, keys, requestedAtMs, keysDestroyedAtMs, dataUnlinkedAtMs, backupHorizonAtMs } = receipt;
  const subject =
    scope === "account" ? `an account with ${count(receipt.counts.workspaces, "workspace")}` : "a workspace";
  return [
    `${receipt.issuer.origin} states that it erased ${subject}.`,
    `It was asked for at ${utc(requestedAtMs)}.`,
    keysDestroyedAtMs === null
      ? "No key had ever been made for it."
      : `${count(keys.length, "key")} destroyed, the last at ${utc(keysDestroyedAtMs)}.`,
    dataUnlinkedAtMs === null
      ? "There was no stored data."
      : `Stored data was removed by ${utc(dataUnlinkedAtMs)}.`,
    backupHorizonAtMs === null
      ? "It states no time by which backups of the database are gone."
      : `Backups of the database are gone by ${utc(backupHorizonAtMs)}.`,
  ];
}

function count(value: number, noun: string): string {
  if (value === 0) return `no ${noun}`;
  return `${value} ${noun}${value === 1 ? "" : "s"}`;
}
