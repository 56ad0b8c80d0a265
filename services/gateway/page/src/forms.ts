/** Defining a stream, and dropping a recording. */
import { ApiError, type Analysis, type Client, type StreamDefinition } from "./client.ts";
import { get, make, toast } from "./dom.ts";

/** More pairs than this have one result for all of them, and a matrix. */
const MAX_LISTED = 6;

export function setUpForms(client: Client, show: (name: string) => void): void {
  setUpDefinition(client, show);
  setUpRecordings(client, show);
}

function setUpDefinition(client: Client, show: (name: string) => void): void {
  const dialog = get<HTMLDialogElement>("define");
  const form = get<HTMLFormElement>("define-form");
  const problem = get("define-problem");
  get("define-open").addEventListener("click", () => {
    problem.textContent = "";
    dialog.showModal();
  });
  get("define-cancel").addEventListener("click", () => dialog.close());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    problem.textContent = "";
    let definition: StreamDefinition;
    try {
      definition = definitionOf(new FormData(form));
    } catch (error) {
      problem.textContent = (error as Error).message;
      return;
    }
    client.putStream(definition).then(
      ({ definition: { name } }) => {
        dialog.close();
        toast(`Stream ${name} is defined. Publish to it with: pycwt-mod publish FILE --stream ${name}`);
        show(name);
      },
      (error: Error) => {
        const fields = error instanceof ApiError ? Object.entries(error.fields) : [];
        problem.textContent = fields.length ? fields.map(([field, text]) => `${field}: ${text}`).join("; ") : error.message;
      },
    );
  });
}

/** Return the definition that the fields of the form describe. */
export function definitionOf(form: FormData): StreamDefinition {
  const text = (name: string) => String(form.get(name) ?? "").trim();
  const value = (name: string) => Number(text(name).replace(",", "."));
  const channels = text("channels").split(/[,\s]+/).filter(Boolean).map((each) => {
    const [name, unit] = each.split(":");
    return unit ? { name: name!, unit } : { name: name! };
  });
  if (!channels.length) throw new Error("Name at least one channel.");
  const names = channels.map(({ name }) => name);
  const common = { fmin_hz: value("fmin"), fmax_hz: value("fmax"), hop_s: value("hop") };
  const analyses: Analysis[] = [];
  if (text("coherence")) {
    const pairs = text("pairs") ? text("pairs").split(/[,\s]+/).filter(Boolean).map((pair) => pair.split("-")) : everyPair(names);
    if (!pairs.length) throw new Error("Coherence needs two channels.");
    const wrong = pairs.find((pair) => pair.length !== 2);
    if (wrong) throw new Error(`A pair is two channels joined by a hyphen, not ${wrong.join("-")}.`);
    const isMany = !text("pairs") && pairs.length > MAX_LISTED;
    analyses.push({ name: "coherence", op: "wct", pairs: isMany ? "all" : pairs, quantity: "coherence", significance: { level: 0.95 }, ...common });
  }
  if (text("power")) analyses.push({ name: "power", op: "cwt", channels: names, quantity: "power", ...common });
  return { name: text("name"), fs_hz: value("fs"), channels, analyses };
}

export function everyPair(names: string[]): string[][] {
  return names.flatMap((a, i) => names.slice(i + 1).map((b) => [a, b]));
}

function setUpRecordings(client: Client, show: (name: string) => void): void {
  const input = get<HTMLInputElement>("file");
  const zone = get("drop");
  let depth = 0;
  const isFile = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
  addEventListener("dragenter", (event) => {
    if (isFile(event)) zone.hidden = ++depth === 0;
  });
  addEventListener("dragleave", (event) => {
    if (isFile(event)) zone.hidden = --depth <= 0;
  });
  addEventListener("dragover", (event) => isFile(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    depth = 0;
    zone.hidden = true;
    const file = event.dataTransfer?.files[0];
    if (file) void upload(client, file, show);
  });
  get("open-file").addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const file = input.files?.[0];
    input.value = "";
    if (file) void upload(client, file, show);
  });
}

async function upload(client: Client, file: File, show: (name: string) => void, fs_hz?: number): Promise<void> {
  const name = file.name.replace(/(\.[A-Za-z0-9]{1,7}){1,2}$/, "").replace(/[^A-Za-z0-9_-]+/g, "_").slice(0, 64) || "recording";
  const busy = make("p", { class: "toast info" }, `Publishing ${file.name} to the stream ${name} …`);
  get("toasts").append(busy);
  try {
    await client.uploadRecording(name, file.name, file, fs_hz === undefined ? {} : { fs_hz });
    show(name);
  } catch (error) {
    // A CSV file may not say its rate.
    if (fs_hz === undefined && error instanceof ApiError && error.status === 422 && /\brate\b|fs_hz/.test(error.message)) {
      askRate(file.name, (rate) => void upload(client, file, show, rate));
    } else {
      toast(`Cannot publish ${file.name}: ${(error as Error).message}`, "error");
    }
  } finally {
    busy.remove();
  }
}

function askRate(file: string, then: (fs_hz: number) => void): void {
  const dialog = get<HTMLDialogElement>("rate");
  get("rate-file").textContent = file;
  dialog.showModal();
  const input = get<HTMLInputElement>("rate-hz");
  dialog.onclose = () => {
    const rate = Number(input.value.replace(",", "."));
    if (dialog.returnValue === "ok" && rate > 0) then(rate);
    dialog.returnValue = "";
  };
}
