import { AtollError } from "@atoll/protocol/atoll-error";

/** The names of a path inside a folder; none for the folder itself. @throws AtollError file.name_invalid when it leads elsewhere */
export function relativeNames(path: string): string[] {
  if (path.startsWith("/") || !path.isWellFormed()) throw new AtollError("file.name_invalid");
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  if (names.some((name) => name === ".." || name.includes("\0"))) throw new AtollError("file.name_invalid");
  return names;
}
