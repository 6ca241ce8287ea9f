import type { Metadata } from "next";
import { redirect } from "next/navigation";
import { SettingsPage } from "#features/account/settings-page.tsx";
import { currentSession } from "#server/auth/current-session.ts";
import { serverCaller } from "#trpc/server.ts";

export const metadata: Metadata = { title: "Settings" };

export default async function Page() {
  if (!(await currentSession())) redirect("/signin?callbackUrl=/settings");
  const caller = await serverCaller();
  const [account, receipts, list] = await Promise.all([
    caller.account.me(),
    caller.account.receipts(),
    caller.workspace.list(),
  ]);
  const workspaces = list.workspaces.map(({ id, name }) => ({ id, name }));
  return <SettingsPage account={account} workspaces={workspaces} receipts={receipts} />;
}
