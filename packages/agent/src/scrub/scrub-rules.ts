/**
 * What must not go into a template, by path. Only what users made is looked at: the image itself holds nothing of
 * anybody. Paths are relative to the root, a folder's ends with `/`; the first rule that fits decides.
 */

/** Answers the text to keep. */
export type EditText = (text: string) => string;

export interface ScrubRule {
  name: string;
  matches: RegExp;
  /** Absent: the entry is removed, a folder with all that is in it. */
  edit?: EditText;
  /** Remove only a file whose beginning shows this. */
  contains?: RegExp;
  /** The folder stays, its content goes. */
  keepsFolder?: boolean;
}

const HOME = "(?:home/[^/]+|root)";
const inHome = (pattern: string) => new RegExp(`^${HOME}/(?:${pattern})$`);
const named = (pattern: string) => new RegExp(`(?:^|/)(?:${pattern})$`);

const PRIVATE_KEY = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----/;
/** `https://user:secret@host` and `https://token@host`. */
const URL_CREDENTIALS = /([a-z][a-z0-9+.-]*:\/\/)[^\s/@"']+@/gi;

const withoutLines =
  (pattern: RegExp): EditText =>
  (text) =>
    text
      .split("\n")
      .filter((line) => !pattern.test(line))
      .join("\n");
const withoutUrlCredentials: EditText = (text) => text.replace(URL_CREDENTIALS, "$1");

export const SCRUB_RULES: readonly ScrubRule[] = [
  // The machine and its accounts.
  { name: "machine-identity", matches: /^(?:etc\/machine-id|var\/lib\/dbus\/machine-id)$/, edit: () => "" },
  { name: "machine-identity", matches: /^var\/lib\/(?:systemd|urandom)\/random-seed$/ },
  { name: "host-key", matches: /^etc\/ssh\/ssh_host_[^/]+$/ },
  {
    name: "password",
    matches: /^etc\/(?:shadow|gshadow)-?$/,
    edit: (text) => text.replace(/^([^:\n]+):[^:\n*!]+:/gm, "$1:!:"),
  },
  { name: "log", matches: /^var\/(?:log|mail|spool\/mail|crash)\/$/, keepsFolder: true },
  { name: "temporary", matches: /^(?:var\/)?tmp\/$/, keepsFolder: true },
  { name: "temporary", matches: named("\\.atoll-tmp-[^/]*/?") },

  // Homes: keys, tokens, histories, and the state of programs that sign in.
  { name: "ssh", matches: inHome("\\.ssh/") },
  { name: "gpg", matches: inHome("(?:\\.gnupg|\\.password-store|\\.pki|\\.local/share/keyrings)/") },
  {
    name: "cloud-credentials",
    matches: inHome(
      "(?:\\.aws|\\.azure|\\.oci|\\.kube|\\.fly|\\.railway|\\.netlify|\\.vercel|\\.supabase|\\.bluemix|\\.ibmcloud|\\.databricks|\\.kaggle|\\.snowflake|\\.pulumi|\\.terraform\\.d|\\.wrangler|\\.config/(?:gcloud|gh|glab-cli|hub|doctl|scaleway|hcloud|linode-cli|heroku|netlify|stripe|rclone|op|fly|configstore|\\.wrangler|containers))/",
    ),
  },
  {
    name: "cloud-credentials",
    matches: inHome(
      "\\.(?:s3cfg|boto|databrickscfg|vault-token|doctlcfg|vercel\\.json|netrc|pgpass|my\\.cnf|mylogin\\.cnf)",
    ),
  },
  { name: "docker-credentials", matches: named("\\.docker/config\\.json|\\.dockercfg") },
  {
    name: "package-credentials",
    matches: named(
      "\\.pypirc|\\.cargo/credentials(?:\\.toml)?|\\.gem/credentials|\\.m2/settings(?:-security)?\\.xml|\\.composer/auth\\.json|\\.config/composer/auth\\.json|\\.nuget/NuGet/NuGet\\.Config",
    ),
  },
  {
    name: "browser",
    matches: inHome("(?:\\.mozilla|\\.config/(?:chromium|google-chrome|BraveSoftware|microsoft-edge))/"),
  },
  {
    name: "editor-state",
    matches: inHome(
      "(?:\\.vscode-server|\\.vscode-remote|\\.config/Code|\\.local/share/(?:code-server|JetBrains)|\\.cache)/",
    ),
  },
  {
    name: "history",
    matches: inHome(
      "(?:.*/)?(?:\\.[^/]*_?history|\\.(?:lesshst|viminfo|wget-hsts|bash_sessions|python_history|recently-used)|fish_history|history\\.sqlite|recently-used\\.xbel)/?",
    ),
  },
  {
    name: "history",
    matches: inHome("(?:\\.local/state/(?:less|vim|nvim|bash|zsh)|\\.npm/_logs|\\.config/fish/history)/"),
  },
  {
    // Whatever else signs in keeps what it got under such a name.
    name: "credentials",
    matches: new RegExp(
      `^${HOME}/\\.(?:.*/)?\\.?(?:credentials?|auth|auth[-_.]?tokens?|tokens?|access[-_.]?tokens?|oauth[^/]*|secrets?|api[-_.]?keys?|hosts)(?:\\.(?:json|ya?ml|toml|db|ini|txt|env))?$`,
    ),
  },

  // Anywhere: files that projects keep their secrets in.
  { name: "netrc", matches: named("[._]netrc") },
  { name: "git-credentials", matches: named("\\.git-credentials|git/credentials") },
  {
    name: "git-credentials",
    matches: named("\\.git/(?:.*/)?config|\\.gitconfig|\\.config/git/config|\\.gitmodules"),
    edit: (text) =>
      withoutLines(/^\s*(?:extraheader|password|token|oauth[\w-]*|signingkey|email|name)\s*=/i)(
        withoutUrlCredentials(text),
      ),
  },
  {
    name: "npm-token",
    matches: named("\\.npmrc"),
    edit: (text) =>
      withoutLines(/_(?:authToken|auth|password)\s*=|^\s*(?:email|username)\s*=/i)(
        withoutUrlCredentials(text),
      ),
  },
  {
    name: "npm-token",
    matches: named("\\.yarnrc(?:\\.yml)?|bunfig\\.toml"),
    edit: (text) => withoutLines(/auth(?:Token|Ident)|\btoken\b|\bpassword\b/i)(withoutUrlCredentials(text)),
  },
  { name: "package-credentials", matches: named("pip\\.conf|\\.condarc"), edit: withoutUrlCredentials },
  {
    name: "environment",
    matches: named("(?!\\.env\\.(?:example|sample|template|dist|defaults)$)\\.env(?:\\.[^/]+)?|\\.envrc"),
  },
  { name: "ssh-key", matches: named("id_(?:rsa|dsa|ecdsa|ed25519|ecdsa_sk|ed25519_sk)") },
  { name: "key-store", matches: named("[^/]+\\.(?:p12|pfx|jks|keystore|kdbx|ppk|ovpn)") },
  { name: "private-key", matches: named("[^/]+\\.(?:pem|key|asc|gpg)"), contains: PRIVATE_KEY },
  {
    name: "service-account",
    matches: named("[^/]*(?:credential|service[-_.]?account|client[-_.]?secret|firebase-admin)[^/]*\\.json"),
    contains: /"(?:private_key|client_secret|refresh_token)"/,
  },
  { name: "terraform-state", matches: named("[^/]*\\.tfstate(?:\\.backup)?") },
];

export function ruleFor(path: string): ScrubRule | undefined {
  return SCRUB_RULES.find(({ matches }) => matches.test(path));
}
