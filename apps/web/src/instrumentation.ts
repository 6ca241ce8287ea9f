/** Runs once when the server starts: a faulty configuration ends it here, before the first request. */
export async function register(): Promise<void> {
  if (process.env.NEXT_RUNTIME !== "nodejs") return;
  const { startWebProcess } = await import("./server/start-web-process.ts");
  startWebProcess();
}
