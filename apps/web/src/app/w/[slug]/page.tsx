import type { Metadata } from "next";
import { notFound, redirect } from "next/navigation";
import { env } from "#env.ts";
import { WorkbenchPage } from "#features/workbench/workbench-page.tsx";
import { currentSession } from "#server/auth/current-session.ts";
import { findWorkspace } from "#trpc/find-workspace.ts";

export async function generateMetadata({ params }: PageProps<"/w/[slug]">): Promise<Metadata> {
  const session = await currentSession();
  const workspace = session ? await findWorkspace((await params).slug) : undefined;
  return { title: workspace?.name ?? "Workspace" };
}

export default async function Page({ params }: PageProps<"/w/[slug]">) {
  const { slug } = await params;
  const session = await currentSession();
  if (!session) redirect(`/signin?callbackUrl=${encodeURIComponent(`/w/${slug}`)}`);
  const workspace = await findWorkspace(slug);
  if (!workspace) notFound();
  const { gatewayUrl, previewDomain, previewPort, idlePauseSeconds } = env();
  return (
    <WorkbenchPage
      workspace={workspace}
      gatewayUrl={gatewayUrl.origin}
      previewHost={`${previewDomain}:${previewPort}`}
      idlePauseSeconds={idlePauseSeconds}
      plan={session.user.plan}
    />
  );
}
