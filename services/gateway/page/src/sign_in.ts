/** Signing in where the gateway needs a key: with one that is typed, or that the address has (`/live#key=...`). */
import type { Client } from "./client.ts";
import { get } from "./dom.ts";

/** A session lasts for 15 minutes. */
const CONTINUE_EVERY_MS = 5 * 60_000;
/** Whether this tab has signed in: where no keys are needed, sessions are never asked for. */
const SIGNED_IN = "signed-in";

export class SignIn {
  private readonly dialog = get<HTMLDialogElement>("sign-in");
  private timer: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly client: Client,
    private readonly then: () => void,
  ) {
    const form = get<HTMLFormElement>("sign-in-form");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const key = String(new FormData(form).get("key") ?? "").trim();
      form.reset();
      void this.begin(key);
    });
    get("sign-out").addEventListener("click", () => void this.end());
  }

  /** Use the key in the address, which is removed from it, or continue the session of this tab. */
  async start(): Promise<void> {
    const address = new URLSearchParams(location.hash.slice(1));
    const key = address.get("key");
    if (key) {
      address.delete("key");
      history.replaceState(null, "", `${location.pathname}#${address}`);
      await this.begin(key);
    } else if (sessionStorage.getItem(SIGNED_IN)) {
      await this.continue();
    }
  }

  /** Ask for a key. */
  ask(reason: string): void {
    if (this.dialog.open) return;
    get("sign-in-problem").textContent = sessionStorage.getItem(SIGNED_IN) ? reason : "";
    this.dialog.showModal();
  }

  private async begin(key: string): Promise<void> {
    try {
      await this.client.signIn(key);
    } catch (error) {
      this.ask("");
      get("sign-in-problem").textContent = (error as Error).message;
      return;
    }
    this.dialog.close();
    this.keep();
    this.then();
  }

  private async continue(): Promise<void> {
    // Another session is asked for if this one has ended; an outage passes.
    await this.client.signIn().then(() => this.keep(), () => undefined);
  }

  private keep(): void {
    sessionStorage.setItem(SIGNED_IN, "yes");
    get("sign-out").hidden = false;
    clearInterval(this.timer);
    this.timer = setInterval(() => void this.continue(), CONTINUE_EVERY_MS);
  }

  private async end(): Promise<void> {
    await this.client.signOut().catch(() => undefined);
    sessionStorage.removeItem(SIGNED_IN);
    location.reload();
  }
}
