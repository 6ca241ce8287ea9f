"use client";
import type { PlanName } from "@atoll/protocol/plans";
import { type ReactNode, useState } from "react";
import { AppHeader } from "#features/dashboard/app-header.tsx";
import { PaletteProvider } from "#features/dashboard/palette.tsx";
import { signOutAction } from "#server/auth/actions.ts";
import { Button } from "#ui/button.tsx";
import { DeleteAccountDialog } from "./delete-account-dialog.tsx";
import { PlanTable } from "./plan-table.tsx";
import { ReceiptList, type ReceiptListProps } from "./receipt-list.tsx";
import { SpaceUsed } from "./space-used.tsx";

/** The same in server and browser. */
const MEMBER_SINCE = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeZone: "UTC" });

export interface AccountSummary {
  email: string;
  name: string;
  plan: PlanName;
  createdAt: Date;
  sessionCount: number;
  hasPassword: boolean;
}

export interface SettingsPageProps {
  account: AccountSummary;
  workspaces: Array<{ id: string; name: string }>;
  receipts: ReceiptListProps["receipts"];
}

export function SettingsPage({ account, workspaces, receipts }: SettingsPageProps) {
  const [isDeleting, setDeleting] = useState(false);
  return (
    <PaletteProvider>
      <AppHeader user={account} />
      <main className="mx-auto grid max-w-3xl gap-10 px-6 py-10">
        <h1 className="font-semibold text-2xl tracking-tight">Settings</h1>
        <Section title="Account">
          <dl className="grid gap-3 p-5 text-sm sm:grid-cols-[10rem_1fr]">
            <Fact name="Name">{account.name}</Fact>
            <Fact name="E-mail">{account.email}</Fact>
            <Fact name="Member since">
              <time dateTime={account.createdAt.toISOString()}>{MEMBER_SINCE.format(account.createdAt)}</time>
            </Fact>
          </dl>
        </Section>
        <Section
          title="Plan"
          lead="What one workspace gets at most, and how many tabs may be open on it at once."
        >
          <PlanTable current={account.plan} />
        </Section>
        <Section
          title="Space on disk"
          lead="What your workspaces, checkpoints and templates take on the host. A layer that several share counts once."
        >
          <SpaceUsed />
        </Section>
        <Section title="Sign-ins">
          <div className="flex flex-wrap items-center gap-4 p-5">
            <p className="flex-1 text-ink-soft text-sm">
              You are signed in{" "}
              {account.sessionCount === 1 ? "here only" : `in ${account.sessionCount} places`}. Signing out
              ends the open tabs of this browser within a second.
            </p>
            <form action={signOutAction}>
              <Button type="submit">Sign out</Button>
            </form>
          </div>
        </Section>
        <Section
          title="Erasure receipts"
          lead="One for each workspace you deleted, signed and without names."
        >
          <ReceiptList receipts={receipts} />
        </Section>
        <Section title="Delete account">
          <div className="flex flex-wrap items-center gap-4 p-5">
            <p className="min-w-60 flex-1 text-ink-soft text-sm">
              Destroys your key and with it every workspace, their disks and saved memory. You get a receipt.
            </p>
            <Button tone="danger" onClick={() => setDeleting(true)}>
              Delete account…
            </Button>
          </div>
        </Section>
      </main>
      <DeleteAccountDialog
        open={isDeleting}
        onClose={() => setDeleting(false)}
        account={account}
        workspaces={workspaces}
      />
    </PaletteProvider>
  );
}

function Section({ title, lead, children }: { title: string; lead?: string; children: ReactNode }) {
  return (
    <section aria-label={title}>
      <h2 className="font-semibold text-base">{title}</h2>
      {lead ? <p className="mt-0.5 text-ink-soft text-sm">{lead}</p> : null}
      <div className="mt-3 overflow-hidden rounded-xl border border-line bg-surface shadow-low">
        {children}
      </div>
    </section>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-ink-faint">{name}</dt>
      <dd className="min-w-0 truncate">{children}</dd>
    </>
  );
}
