import { GATEWAY_PATH } from "@atoll/protocol/gateway-events";
import { expect, test } from "@playwright/test";
import { io } from "socket.io-client";
import { AccountPages, newPerson } from "../pages/account-pages.ts";
import { Dashboard } from "../pages/dashboard.ts";
import { Workbench } from "../pages/workbench.ts";
import { hostdWorkspaces } from "../stack/hostd.ts";
import { stackUnderTest } from "../stack/running-stack.ts";
import { storedWorkspace } from "../stack/stored-workspace.ts";

/** What an anonymous visitor, or a page of another site, can do to the gateway: nothing, and learn nothing. */

const ORIGINS = (webUrl: string) => [
  undefined,
  "null",
  "http://localhost",
  `${webUrl}.evil.example`,
  `https://${new URL(webUrl).host}`,
  `http://evil-${new URL(webUrl).host}`,
];

for (const index of ORIGINS("http://localhost:1").keys()) {
  test(`a socket with foreign origin number ${index} is refused before it opens`, async () => {
    const { webUrl, gatewayPort } = stackUnderTest();
    const origin = ORIGINS(webUrl)[index];
    const socket = io(`http://localhost:${gatewayPort}`, {
      path: GATEWAY_PATH,
      transports: ["websocket"],
      reconnection: false,
      auth: { ticket: "x", tabId: crypto.randomUUID() },
      extraHeaders: origin === undefined ? {} : { origin },
    });
    const outcome = await new Promise<string>((resolve) => {
      socket.on("connect", () => resolve("connected"));
      socket.on("connect_error", () => resolve("refused"));
    });
    socket.close();
    expect(outcome).toBe("refused");
  });
}

test("strangers learn of no workspace, wake none and keep none awake, running or paused", async ({
  page,
  request,
}) => {
  const stack = stackUnderTest();
  const { previewPort } = stack;
  await new AccountPages(page, stack.webUrl).signUp(newPerson("Una"));
  const dashboard = new Dashboard(page, stack.webUrl);
  await dashboard.open();
  const slug = await dashboard.createWorkspace("Quiet");
  await new Workbench(page).expectReady();
  // No tab of hers is open any more: whatever happens now comes from strangers.
  await page.goto("about:blank");
  const stored = await storedWorkspace(stack, slug);
  const status = async () =>
    (await hostdWorkspaces(stack)).find(({ workspaceId }) => workspaceId === stored?.workspaceId);

  async function visit(host: string): Promise<unknown> {
    const headers = {
      host: `3000-${host}.preview.localhost:${previewPort}`,
      accept: "text/html",
      cookie: "__Host-atoll=stolen; atoll_preview=guessed",
    };
    const answer = await request.get(`http://127.0.0.1:${previewPort}/?ticket=guessed`, { headers });
    return { status: answer.status(), body: (await answer.text()).replaceAll(host, "SLUG") };
  }
  async function flood(): Promise<void> {
    const nobody = await visit("no-such-one-1a2b3c");
    expect(nobody).toMatchObject({ status: 401 });
    for (let round = 0; round < 50; round += 1) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => visit(slug)));
      for (const answer of answers) expect(answer).toEqual(nobody);
    }
  }

  const presence = async () => {
    const { awakeBecause, sessionCount } = (await status()) ?? {};
    return { awakeBecause, sessionCount };
  };
  // Her tab's session ends a moment after the tab.
  await expect.poll(presence, { timeout: 60_000 }).toEqual({ awakeBecause: undefined, sessionCount: 0 });
  const idle = await status();
  expect(idle).toMatchObject({ state: "running", sessionCount: 0 });
  await flood();
  await expect.poll(async () => (await status())?.state, { timeout: 120_000 }).toBe("paused");
  await expect.poll(async () => (await status())?.pausedIn, { timeout: 60_000 }).toBe("disk");
  const paused = await status();
  expect(paused).toMatchObject({ reason: "idle" });
  // Nothing she did not do herself: a processor may be busy for a moment by itself.
  const works = [paused?.lastWork].filter((work) => work?.reason.kind !== "cpu");
  expect([idle?.lastWork]).toEqual(expect.arrayContaining(works));
  await flood();
  expect(await status()).toEqual(paused);
});

test("hosts that are not ours are not served", async ({ request }) => {
  const { previewPort, webUrl } = stackUnderTest();
  const webPort = new URL(webUrl).port;
  for (const [port, host] of [
    [previewPort, "evil.example"],
    [previewPort, `99999-brave-otter-x7k2m9.preview.localhost:${previewPort}`],
    [previewPort, `08080-brave-otter-x7k2m9.preview.localhost:${previewPort}`],
    [webPort, "evil.example"],
  ] as const) {
    const answer = await request.get(`http://127.0.0.1:${port}/`, { headers: { host }, maxRedirects: 0 });
    expect([400, 421], `${host} on ${port}`).toContain(answer.status());
  }
});
