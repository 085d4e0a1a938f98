import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { api, isAbort } from "../api";
import type { Attachment } from "../wire";
import { words } from "../words";
import { File, Picture, Sound } from "./icons";

/** What is shown as a picture. SVG is not: opened by itself it could run scripts. */
const PICTURES = /^image\/(avif|gif|jpeg|png|webp)$/;
const SOUNDS = /^audio\//;
const FILMS = /^video\//;

interface Props {
  attachment: Attachment;
  spirit: string;
  session: string;
  echo: string;
  index: number;
}

type Loaded = { state: "no" | "loading" | "failed" } | { state: "yes"; url: string; size: number };

/** A picture is fetched when it comes into sight, everything else when it is asked for; with the token, so as a blob. */
export function AttachmentView({ attachment, spirit, session, echo, index }: Props) {
  const say = words.value;
  const type = (attachment.media_type.split(";")[0] ?? "").trim().toLowerCase();
  const picture = PICTURES.test(type);
  const sound = SOUNDS.test(type);
  const film = FILMS.test(type);
  const name = attachment.file_name || (picture ? say.picture : sound ? say.audio : film ? say.video : say.document);
  const place = useRef<HTMLDivElement>(null);
  const request = useRef(new AbortController());
  const loaded = useSignal<Loaded>({ state: "no" });
  const unplayable = useSignal(false);

  const load = async () => {
    if (loaded.peek().state === "loading" || loaded.peek().state === "yes") return;
    loaded.value = { state: "loading" };
    try {
      const blob = await api.attachment(spirit, session, echo, index, request.current.signal);
      // The type is ours to say: what a sender calls a picture is never opened as a page.
      const shownAs = picture || sound || film || type === "application/pdf" ? type : "application/octet-stream";
      loaded.value = { state: "yes", url: URL.createObjectURL(new Blob([blob], { type: shownAs })), size: blob.size };
    } catch (failure) {
      if (!isAbort(failure)) loaded.value = { state: "failed" };
    }
  };
  useEffect(() => {
    request.current = new AbortController();
    const element = place.current;
    let observer: IntersectionObserver | undefined;
    if (picture && element) {
      observer = new IntersectionObserver((seen) => {
        if (seen.some((one) => one.isIntersecting)) {
          observer?.disconnect();
          void load();
        }
      });
      observer.observe(element);
    }
    return () => {
      observer?.disconnect();
      request.current.abort();
      const now = loaded.peek();
      if (now.state === "yes") URL.revokeObjectURL(now.url);
    };
  }, []);

  const now = loaded.value;
  if (now.state === "yes" && picture) {
    return (
      <div class="attachment picture" ref={place}>
        <a href={now.url} download={attachment.file_name ?? ""} title={say.attachmentSave}>
          <img src={now.url} alt={name} />
        </a>
      </div>
    );
  }
  return (
    <div class={`attachment${picture ? " picture" : ""}`} ref={place}>
      <div class="file">
        {picture ? <Picture size={22} /> : sound ? <Sound size={22} /> : <File size={22} />}
        <span class="file-name">
          <bdi>{name}</bdi>
          <span class="quiet">
            {type || say.document}
            {now.state === "failed" && ` · ${say.attachmentFailed}`}
          </span>
        </span>
        {now.state === "yes" ? (
          <span class="file-links">
            {type === "application/pdf" && (
              <a class="button small" href={now.url} target="_blank" rel="noopener noreferrer">
                {say.attachmentOpen}
              </a>
            )}
            <a class="button small" href={now.url} download={attachment.file_name ?? ""}>
              {say.attachmentSave}
            </a>
          </span>
        ) : (
          <button type="button" class="button small" disabled={now.state === "loading"} onClick={() => void load()}>
            {now.state === "loading" ? say.loading : now.state === "failed" ? say.retry : say.attachmentLoad}
          </button>
        )}
      </div>
      {now.state === "yes" && sound && !unplayable.value && <audio controls src={now.url} aria-label={name} onError={() => (unplayable.value = true)} />}
      {now.state === "yes" && film && !unplayable.value && <video controls src={now.url} aria-label={name} onError={() => (unplayable.value = true)} />}
    </div>
  );
}
