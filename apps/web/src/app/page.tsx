import { Dashboard } from "#features/dashboard/dashboard.tsx";
import { Landing } from "#features/landing/landing.tsx";
import { currentSession } from "#server/auth/current-session.ts";
import { serverCaller } from "#trpc/server.ts";

export default async function Page() {
  const session = await currentSession();
  if (!session) return <Landing />;
  const caller = await serverCaller();
  const { name, email, plan } = session.user;
  return <Dashboard user={{ name, email, plan }} firstList={await caller.workspace.list()} />;
}
