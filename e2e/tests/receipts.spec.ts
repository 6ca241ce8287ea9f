import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, type Page, test } from "@playwright/test";
import { AccountPages, newPerson } from "../pages/account-pages.ts";
import { Dashboard } from "../pages/dashboard.ts";
import { findMarker } from "../stack/find-marker.ts";
import { stackUnderTest } from "../stack/running-stack.ts";
import { storedWorkspace } from "../stack/stored-workspace.ts";

let place: string;
test.beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), "atoll-receipts-"));
});
test.afterAll(() => rm(place, { recursive: true, force: true }));

async function downloadReceipt(page: Page): Promise<string> {
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download receipt" }).click();
  const path = join(place, "receipt.json");
  await (await download).saveAs(path);
  return path;
}

const verify = (...args: string[]) =>
  spawnSync(process.execPath, ["../packages/cli/bin/atoll.mjs", "verify-receipt", ...args], {
    cwd: join(import.meta.dirname, ".."),
    encoding: "utf8",
  });

test("a deleted account leaves a receipt that is checked without the service, and no changed byte passes", async ({
  page,
  context,
}) => {
  const { webUrl, dataDirectory } = stackUnderTest();
  const account = new AccountPages(page, webUrl);
  const ada = newPerson("Ada");
  await account.signUp(ada);
  const files = async (folder: string) => (await findMarker([join(dataDirectory, folder)], ada.email)).hits;
  await expect.poll(() => files("postgres")).not.toEqual([]);
  await account.deleteAccount(ada);
  await expect(page.getByRole("heading", { name: "What it cannot prove" })).toBeVisible();
  const file = await downloadReceipt(page);
  const text = await readFile(file, "utf8");
  for (const personal of [ada.email, ada.name]) expect(text).not.toContain(personal);
  const keyFile = join(place, "receipt-key.pem");
  await writeFile(keyFile, await (await page.request.get(`${webUrl}/receipt-key.pem`)).text());

  await page.goto(`${webUrl}/verify-receipt`);
  await expect(page.getByRole("heading", { name: "Verify a receipt" })).toBeVisible();
  await context.setOffline(true);
  await page.getByLabel("Receipt file").setInputFiles(file);
  await expect(page.getByRole("heading", { name: "This receipt holds" })).toBeVisible();
  const tampered = join(place, "tampered.json");
  await writeFile(tampered, text.replace('"workspaces": 0', '"workspaces": 7'));
  await page.getByLabel("Receipt file").setInputFiles(tampered);
  await expect(page.getByRole("alert").filter({ hasText: "receipt.invalid" })).toContainText(
    "those that were signed",
  );
  await expect(page.getByRole("heading", { name: "This receipt holds" })).toBeHidden();
  await context.setOffline(false);

  const holds = verify(file, "--key", keyFile);
  expect(holds.stderr).toBe("");
  expect(holds.status).toBe(0);
  expect(verify(tampered, "--key", keyFile).status).toBe(1);

  // Deleted rows leave the files of the database with the next sweep; logs never had them.
  const seldom = { timeout: 180_000, intervals: [5_000] };
  await expect.poll(() => files("postgres"), seldom).toEqual([]);
  expect(await files("logs")).toEqual([]);
});

test("a deleted workspace leaves a receipt with the fingerprint of its key, listed in the settings", async ({
  page,
}) => {
  const stack = stackUnderTest();
  const account = new AccountPages(page, stack.webUrl);
  const dashboard = new Dashboard(page, stack.webUrl);
  await account.signUp(newPerson("Kay"));
  await dashboard.open();
  const slug = await dashboard.createWorkspace("Short");
  await dashboard.open();
  await dashboard.expectState("Short", "Running", 120_000);
  const commitment = (await storedWorkspace(stack, slug))?.keyCommitment ?? "none";
  await dashboard.act("Short", "Delete…");
  const dialog = page.getByRole("dialog", { name: "Delete workspace" });
  await dialog.getByLabel(/to confirm$/).fill("Short");
  await dialog.getByRole("button", { name: "Delete for good" }).click();
  await page.getByRole("button", { name: "Receipt", exact: true }).click();
  await expect(page.getByRole("heading", { name: "This workspace is erased" })).toBeVisible();
  await expect(page.getByText(`commitment ${commitment}`)).toBeVisible();
  expect(verify(await downloadReceipt(page)).stdout).toContain(commitment);
  const address = new URL(page.url()).pathname;
  await page.goto(`${stack.webUrl}/settings`);
  const link = page.getByRole("list", { name: "Erasure receipts" }).getByRole("link");
  await expect(link).toHaveAttribute("href", address);
});
