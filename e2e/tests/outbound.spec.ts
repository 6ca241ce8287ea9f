import { test } from "@playwright/test";
import { AccountPages, newPerson } from "../pages/account-pages.ts";
import { Dashboard } from "../pages/dashboard.ts";
import { Workbench } from "../pages/workbench.ts";
import { stackUnderTest } from "../stack/running-stack.ts";

test("packages install from their sources, everything else is refused, and off means off for root too", async ({
  page,
}) => {
  test.setTimeout(900_000);
  const { webUrl } = stackUnderTest();
  await new AccountPages(page, webUrl).signUp(newPerson("Olga"));
  const dashboard = new Dashboard(page, webUrl);
  await dashboard.createWorkspace("Builds", "Package sources");
  const { terminal } = new Workbench(page);
  await new Workbench(page).expectReady();

  await terminal.run(
    "clear; sudo apt-get update -qq && sudo apt-get install -y -qq hello >/dev/null 2>&1; hello; echo apt-$?",
  );
  await terminal.expectOutput("Hello, world!", 480_000);
  await terminal.run(
    "clear; mkdir -p ~/n && cd ~/n && npm install --no-fund --no-audit is-number >/dev/null 2>&1; ls node_modules; echo npm-$?",
  );
  await terminal.expectOutput("is-numbernpm-0", 300_000);
  await terminal.run("clear; curl -sS -m 20 http://example.com/ ; echo other-$?");
  await terminal.expectOutput(/egress\.denied.*other-0/s);

  await page.goto(webUrl);
  await dashboard.setNetwork("Builds", "Off");
  await dashboard.row("Builds").getByRole("link", { name: "Builds", exact: true }).click();
  const again = new Workbench(page);
  await again.expectReadyAgain();
  await again.terminal.run("clear; sudo apt-get update 2>&1 | tail -2; ls /sys/class/net; echo net-$?");
  await again.terminal.expectOutput(/egress\.denied|403/, 120_000);
  await again.terminal.expectOutput(/lo\s*net-0/);
});
