import { webProcess } from "#server/web-process.ts";

export const dynamic = "force-dynamic";

/** Ready means the database answers. hostd may be away: lists still work and say so. */
export async function GET(): Promise<Response> {
  const { db, statuses } = webProcess();
  try {
    await db.$queryRaw`SELECT 1`;
    return Response.json({ ok: true, isHostReachable: statuses.isHostReachable });
  } catch {
    return Response.json({ ok: false, code: "internal" }, { status: 503 });
  }
}
