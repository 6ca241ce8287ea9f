import { cp, mkdtemp, rm } from "node:fs/promises";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "@playwright/test";
import { AccountPages, newPerson } from "../pages/account-pages.ts";
import { Dashboard } from "../pages/dashboard.ts";
import { Workbench } from "../pages/workbench.ts";
import { findMarker } from "../stack/find-marker.ts";
import { stackUnderTest } from "../stack/running-stack.ts";
import { diskDirectory, keyRefusal, opensWithStoredKey, storedWorkspace } from "../stack/stored-workspace.ts";

test("from a first account to a deleted one, with all that is between", async ({ browser }) => {
  test.setTimeout(600_000);
  const stack = stackUnderTest();
  const { webUrl, previewPort } = stack;
  const marker = `marker-${crypto.randomUUID()}`;
  const ada = newPerson("Ada");
  const home = await browser.newContext();
  let page = await home.newPage();
  let slug = "";

  await test.step("sign up and create a machine", async () => {
    await new AccountPages(page, webUrl).signUp(ada);
    slug = await new Dashboard(page, webUrl).createWorkspace("Reef");
    await new Workbench(page).expectReady();
  });

  await test.step("the terminal is in a kernel of its own", async () => {
    const { terminal } = new Workbench(page);
    await terminal.run(`uname -a; printf 'who-am-i %s\\n' "$(id -un)"`);
    await terminal.expectOutput(`Linux ${slug}`);
    await terminal.expectOutput("who-am-i dev");
    expect(await terminal.text()).not.toContain(release());
  });

  await test.step("a file saved in the editor is what cat shows", async () => {
    const workbench = new Workbench(page);
    await workbench.createFile("hello.txt");
    await workbench.openFile("hello.txt");
    await workbench.typeInEditor(marker);
    await workbench.save();
    await workbench.terminal.run("clear; cat /workspace/hello.txt | rev");
    await workbench.terminal.expectOutput([...marker].reverse().join(""));
  });

  await test.step("a server in the machine shows in the preview", async () => {
    const workbench = new Workbench(page);
    await workbench.terminal.run("clear; cd /workspace && python3 -m http.server 8000 >/dev/null 2>&1 &");
    const preview = await workbench.preview(8000);
    await expect(preview.getByRole("link", { name: "hello.txt" })).toBeVisible({ timeout: 60_000 });
  });

  await test.step("after a reload the terminal is still there, and its process goes on", async () => {
    const workbench = new Workbench(page);
    await workbench.terminal.run(
      `clear; bash -c 'n=0; while :; do n=$((n+1)); printf "\\r%s" "pid=$$; n=$n;"; sleep 1; done'`,
    );
    await expect.poll(() => workbench.terminal.lastNumber("n")).toBeGreaterThan(2);
    const pid = await workbench.terminal.lastNumber("pid");
    await page.reload();
    await workbench.expectReadyAgain();
    await expect.poll(() => workbench.terminal.lastNumber("n")).toBeGreaterThan(3);
    expect(await workbench.terminal.lastNumber("pid")).toBe(pid);
  });

  await test.step("someone else cannot see, open, preview or infer it", async () => {
    const away = await browser.newContext();
    const stranger = await away.newPage();
    await new AccountPages(stranger, webUrl).signUp(newPerson("Mallory"));
    await expect(stranger.getByText("No workspaces yet")).toBeVisible();
    const foreign = await stranger.goto(`${webUrl}/w/${slug}`);
    const foreignText = await stranger.locator("main").innerText();
    const missing = await stranger.goto(`${webUrl}/w/no-such-one-1a2b3c`);
    expect(foreign?.status()).toBe(missing?.status());
    expect(foreignText).toBe(await stranger.locator("main").innerText());
    const preview = await stranger.goto(`http://8000-${slug}.preview.localhost:${previewPort}/`);
    expect(preview?.status()).toBe(401);
    const nothing = await stranger.goto(`http://8000-no-such-one-1a2b3c.preview.localhost:${previewPort}/`);
    expect(nothing?.status()).toBe(401);
    const { workspaceId } = (await storedWorkspace(stack, slug)) ?? { workspaceId: "" };
    for (const [procedure, input] of [
      ["session.ticket", { workspaceId }],
      ["preview.open", { workspaceId, port: 8000, path: "/" }],
      ["workspace.pause", { id: workspaceId }],
      ["workspace.delete", { id: workspaceId }],
    ] as const) {
      const answer = await stranger.request.post(`${webUrl}/api/trpc/${procedure}`, {
        data: { json: input },
        headers: { origin: webUrl },
      });
      expect(await answer.text(), procedure).toContain("workspace.not_found");
    }
    await away.close();
  });

  const before = await storedWorkspace(stack, slug);
  const machinePid = before?.machine?.pid ?? 0;
  const counter = { pid: 0, n: 0 };

  await test.step("paused with all tabs closed, the machine leaves nothing readable", async () => {
    const { terminal } = new Workbench(page);
    counter.pid = await terminal.lastNumber("pid");
    counter.n = await terminal.lastNumber("n");
    expect(() => process.kill(machinePid, 0)).not.toThrow();
    await page.close();
    page = await home.newPage();
    const dashboard = new Dashboard(page, webUrl);
    await dashboard.open();
    // The counter in the terminal is work: it would not pause by itself.
    await dashboard.act("Reef", "Pause");
    await dashboard.expectState("Reef", "Paused", 120_000);
    await expect(dashboard.row("Reef")).toContainText("sealed on disk", { timeout: 180_000 });
    expect(() => process.kill(machinePid, 0)).toThrow();
    expect((await storedWorkspace(stack, slug))?.snapshot?.sizeBytes).toBeGreaterThan(0);
    const { hits, scanned } = await findMarker([stack.dataDirectory], marker);
    expect(hits).toEqual([]);
    expect(scanned).toBeGreaterThan(20);
  });

  await test.step("on return the same process counts on", async () => {
    const workbench = new Workbench(page);
    await workbench.open(webUrl, slug);
    await workbench.expectReadyAgain();
    await expect.poll(() => workbench.terminal.lastNumber("n")).toBeGreaterThan(counter.n);
    expect(await workbench.terminal.lastNumber("pid")).toBe(counter.pid);
    await expect((await workbench.preview(8000)).getByRole("link", { name: "hello.txt" })).toBeVisible({
      timeout: 60_000,
    });
  });

  await test.step("a deleted account takes its key along", async () => {
    const stored = await storedWorkspace(stack, slug);
    if (!stored?.disk) throw new Error("the workspace has no disk");
    const stolen = await mkdtemp(join(tmpdir(), "atoll-stolen-"));
    try {
      const copy = join(stolen, stored.disk.diskId);
      const original = diskDirectory(stack, stored.disk.diskId);
      await cp(original, copy, { recursive: true });
      // The copy is openable as long as the key exists: otherwise what follows would prove nothing.
      expect(await opensWithStoredKey(stack, stored, copy)).toBe(true);
      await new AccountPages(page, webUrl).deleteAccount(ada);
      expect(await keyRefusal(stack, stored)).toBe("key.not_found");
      expect(await opensWithStoredKey(stack, stored, copy)).toBe(false);
      await expect(cp(original, `${copy}-2`, { recursive: true })).rejects.toMatchObject({ code: "ENOENT" });
      expect((await findMarker([stack.dataDirectory], marker)).hits).toEqual([]);
      await new AccountPages(page, webUrl).signIn(ada);
      await expect(page.getByText("That e-mail and password do not match.")).toBeVisible();
    } finally {
      await rm(stolen, { recursive: true });
    }
  });

  await home.close();
});
