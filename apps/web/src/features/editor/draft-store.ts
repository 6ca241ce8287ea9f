/** Unsaved text, kept in the browser until it is on the machine's disk. */
export interface Draft {
  path: string;
  text: string;
  /** Version the edit began from; undefined for a file that was not there. */
  baseVersion: string | undefined;
  savedAtMs: number;
}

export interface DraftStore {
  list(): Promise<Draft[]>;
  get(path: string): Promise<Draft | undefined>;
  put(draft: Draft): Promise<void>;
  remove(path: string): Promise<void>;
}

const STORE = "drafts";

/** IndexedDB; where the browser has none (a private window of old), drafts live as long as the tab. */
export function browserDraftStore(workspaceId: string): DraftStore {
  const opened = openDatabase(`atoll-${workspaceId}`);
  opened.catch(() => {});
  const run = async <T>(
    mode: IDBTransactionMode,
    work: (store: IDBObjectStore) => IDBRequest<T>,
  ): Promise<T> => {
    const database = await opened;
    return promised(work(database.transaction(STORE, mode).objectStore(STORE)));
  };
  return {
    list: () => run("readonly", (store) => store.getAll() as IDBRequest<Draft[]>).catch(() => []),
    get: (path) =>
      run("readonly", (store) => store.get(path) as IDBRequest<Draft | undefined>).catch(() => undefined),
    put: (draft) => run("readwrite", (store) => store.put(draft)).then(() => {}),
    remove: (path) => run("readwrite", (store) => store.delete(path)).then(() => {}),
  };
}

function openDatabase(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "path" });
  return promised(request);
}

function promised<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
