/** Runs once when the server starts: a faulty configuration ends it here, and requests wait until this has returned. */
export async function register(): Promise<void> {
  if (process.env.NEXT_RUNTIME !== "nodejs") return;
  const { notePeerAddresses } = await import("./server/auth/client-address.ts");
  notePeerAddresses();
  const { startWebProcess } = await import("./server/start-web-process.ts");
  await startWebProcess();
}
