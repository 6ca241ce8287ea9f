import { uuid } from "@atoll/protocol/ids";
import type { Metadata } from "next";
import { notFound, redirect } from "next/navigation";
import { env } from "#env.ts";
import { RescuePage } from "#features/rescue/rescue-page.tsx";
import { currentSession } from "#server/auth/current-session.ts";
import { findWorkspace } from "#trpc/find-workspace.ts";

export async function generateMetadata({ params }: PageProps<"/w/[slug]/files">): Promise<Metadata> {
  const session = await currentSession();
  const workspace = session ? await findWorkspace((await params).slug) : undefined;
  return { title: workspace ? `Files of ${workspace.name}` : "Files" };
}

export default async function Page({ params, searchParams }: PageProps<"/w/[slug]/files">) {
  const { slug } = await params;
  const { checkpoint } = await searchParams;
  const session = await currentSession();
  if (!session) redirect(`/signin?callbackUrl=${encodeURIComponent(`/w/${slug}/files`)}`);
  const workspace = await findWorkspace(slug);
  if (!workspace) notFound();
  const checkpointId = checkpoint === undefined ? null : uuid.safeParse(checkpoint).data;
  if (checkpointId === undefined) notFound();
  return (
    <RescuePage workspace={workspace} gatewayUrl={env().gatewayUrl.origin} checkpointId={checkpointId} />
  );
}
