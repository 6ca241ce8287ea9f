import { expect, type Page } from "@playwright/test";

export interface Person {
  name: string;
  email: string;
  password: string;
}

/** Someone nobody in this run was before. */
export function newPerson(name: string): Person {
  const unique = crypto.randomUUID().slice(0, 8);
  return {
    name,
    email: `${name.toLowerCase()}-${unique}@people.example`,
    password: `correct horse battery ${name}`,
  };
}

/** Sign-up, sign-in, settings and the receipt. */
export class AccountPages {
  readonly #page: Page;
  readonly #webUrl: string;

  constructor(page: Page, webUrl: string) {
    this.#page = page;
    this.#webUrl = webUrl;
  }

  async signUp(person: Person): Promise<void> {
    await this.#page.goto(`${this.#webUrl}/signup`);
    await this.#page.getByLabel("Name").fill(person.name);
    await this.#page.getByLabel("E-mail").fill(person.email);
    await this.#page.getByLabel("Password").fill(person.password);
    await this.#page.getByRole("button", { name: "Create account" }).click();
    await expect(this.#page.getByRole("heading", { name: "Workspaces", exact: true })).toBeVisible();
  }

  async signIn(person: Pick<Person, "email" | "password">): Promise<void> {
    await this.#page.goto(`${this.#webUrl}/signin`);
    await this.#page.getByLabel("E-mail").fill(person.email);
    await this.#page.getByLabel("Password").fill(person.password);
    await this.#page.getByRole("button", { name: "Sign in", exact: true }).click();
  }

  async signInWith(provider: string): Promise<void> {
    await this.#page.goto(`${this.#webUrl}/signin`);
    await this.#page.getByRole("button", { name: new RegExp(provider) }).click();
  }

  async signOut(): Promise<void> {
    await this.#page.goto(`${this.#webUrl}/settings`);
    await this.#page.getByRole("button", { name: "Sign out" }).click();
    await expect(this.#page.getByRole("link", { name: "Sign in" })).toBeVisible();
  }

  /** Ends on the receipt. */
  async deleteAccount(person: Person): Promise<void> {
    await this.#page.goto(`${this.#webUrl}/settings`);
    await this.#page.getByRole("button", { name: "Delete account…" }).click();
    const dialog = this.#page.getByRole("dialog", { name: "Delete account" });
    await dialog.getByLabel(/to confirm$/).fill(person.email);
    await dialog.getByLabel("Password").fill(person.password);
    await dialog.getByRole("button", { name: "Delete account for good" }).click();
    await expect(this.#page.getByRole("heading", { name: "Your account is erased" })).toBeVisible({
      timeout: 60_000,
    });
  }
}
