// A PowerShell command that was handed over in base64, for reading. It is decoded, never run.

const ENCODED = /\s[-/\u2013\u2014](?:e|ec|en|enc\w*)\s+["']?([A-Za-z0-9+/]{16,}={0,2})/i;
const LONGEST = 200_000;

/** The decoded command, or null where the line holds none. */
export function encodedCommand(text) {
  const [, base64] = text.slice(0, LONGEST).match(ENCODED) ?? [];
  if (!base64) return null;
  try {
    const bytes = Uint8Array.from(atob(base64.slice(0, base64.length - (base64.length % 4 === 1 ? 1 : 0))), (character) => character.charCodeAt(0));
    const decoded = new TextDecoder("utf-16le", { fatal: true }).decode(bytes.slice(0, bytes.length & ~1));
    // Any bytes are some UTF-16; a command is mostly printable ASCII.
    const printable = decoded.match(/[\t\r\n -~]/g)?.length ?? 0;
    return printable >= decoded.length * 0.7 && decoded.length > 0 ? decoded : null;
  } catch {
    return null;
  }
}
