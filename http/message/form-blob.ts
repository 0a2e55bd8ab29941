/**
 * Writes a form as `fetch` does, with its files unread. RFC 7578, and the section "Multipart form data" of HTML.
 *
 * WebKit's own writer fails for a form with a file outside of its network stack ("Unable to read form data blob").
 */
export function formBlob(form: FormData): Blob {
  const boundary = `form-${crypto.getRandomValues(new Uint32Array(4)).join("-")}`;
  const parts: BlobPart[] = [];
  form.forEach((value, name) => {
    const head = `--${boundary}\r\ncontent-disposition: form-data; name="${escaped(withLineEnds(name))}"`;
    if (typeof value === "string") {
      parts.push(`${head}\r\n\r\n${withLineEnds(value)}\r\n`);
    } else {
      const type = value.type || "application/octet-stream";
      parts.push(`${head}; filename="${escaped(value.name)}"\r\ncontent-type: ${type}\r\n\r\n`, value, "\r\n");
    }
  });
  parts.push(`--${boundary}--\r\n`);
  return new Blob(parts, { type: `multipart/form-data; boundary=${boundary}` });
}

function withLineEnds(text: string): string {
  return text.replaceAll(/\r\n?|\n/g, "\r\n");
}

function escaped(text: string): string {
  return text.replaceAll("\n", "%0A").replaceAll("\r", "%0D").replaceAll('"', "%22");
}
