import { GATEWAY_PATH } from "@atoll/protocol/gateway-events";
import { expect, test } from "@playwright/test";
import { io } from "socket.io-client";
import { stackUnderTest } from "../stack/running-stack.ts";

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

test("a preview host answers the same for workspaces that exist and that do not", async ({ request }) => {
  const { previewPort } = stackUnderTest();
  const answers = [];
  for (const slug of ["brave-otter-x7k2m9", "no-such-one-1a2b3c"]) {
    const answer = await request.get(`http://127.0.0.1:${previewPort}/`, {
      headers: { host: `3000-${slug}.preview.localhost:${previewPort}`, accept: "text/html" },
    });
    answers.push({ status: answer.status(), body: (await answer.text()).replaceAll(slug, "SLUG") });
  }
  expect(answers[0]).toEqual(answers[1]);
  expect(answers[0]?.status).toBe(401);
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
