/** Whether `cause` is a failed system call with one of these errno names. */
export function hasErrno(cause: unknown, ...names: string[]): boolean {
  return names.includes(errnoOf(cause) ?? "");
}

export function errnoOf(cause: unknown): string | undefined {
  return cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : undefined;
}
