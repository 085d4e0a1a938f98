// What the desk's API says, as it says it.

export type Phase = "Watching" | "Requested" | "TakingOver" | "Active" | "Released";

/** One line of the list. */
export interface Conversation {
  spirit: string;
  /** `voice/sender`, or `*` for the whole Spirit. */
  session: string;
  voice?: string;
  user?: { id: string; name?: string };
  phase: Phase;
  by?: string;
  since?: string;
  requestedAt?: string;
  requestReason?: string;
  unanswered?: number;
  lastAt?: string;
  lastText?: string;
  lastFrom?: "user" | "agent" | "human";
  pendingRites?: number;
  /** A Weave is in flight: the agent is typing. */
  answering?: boolean;
}

export interface Attachment {
  id: string;
  media_type: string;
  file_name?: string;
}

export interface ToolCall {
  id: string;
  name: string;
  arguments: unknown;
}

export interface ToolResult {
  call: string;
  name: string;
  content: string;
  failed?: boolean;
}

/** What a Scout found for the turn. */
export interface Finding {
  scout: string;
  text: string;
}

interface EchoHead {
  id: string;
  at: string;
  pulse?: string;
  findings?: Finding[];
}

/** One message of a conversation, or a mark in it. */
export type Echo = EchoHead &
  (
    | { kind: "user"; name?: string; text: string; attachments?: Attachment[] }
    | { kind: "agent"; spirit: string; text: string; calls?: ToolCall[]; attachments?: Attachment[] }
    | { kind: "tools"; results: ToolResult[] }
    | { kind: "human"; by: string; text: string; attachments?: Attachment[] }
    /** What became of a call that waited for a human's yes. */
    | { kind: "rite"; rite: string; standing: RitePhase; by?: string; comment?: string; result: ToolResult }
    | { kind: "took_over"; by: string }
    | { kind: "gave_back"; by: string; reason?: string }
  );

export type RitePhase = "Pending" | "Approved" | "Denied" | "Expired" | "Void" | "Consumed";

/** An action that waits, or waited, for a human's yes. */
export interface Rite {
  spirit: string;
  id: string;
  session: string;
  action: string;
  arguments: unknown;
  phase: RitePhase;
  expiresAt?: string;
  decidedAt?: string;
  by?: string;
  comment?: string;
  outcome?: "Succeeded" | "Failed";
}

/** The whole of a Spirit is in human hands. */
export interface Silence {
  spirit: string;
  by?: string;
  since?: string;
}

export interface Me {
  user: string;
  namespace?: string;
  mode: "cluster" | "local";
  spirits: string[];
  may: { read?: boolean; takeOver: boolean; decide: boolean };
  silenced?: Silence[];
}

export interface ConversationPage {
  conversations: Conversation[];
  next?: string;
}

export interface TranscriptPage {
  conversation: Conversation;
  echoes: Echo[];
  older?: string;
  rites?: Rite[];
}

export interface OlderPage {
  echoes: Echo[];
  older?: string;
}

/** What the Weave did with a Pulse. */
export interface ChronicleEntry {
  outcome: string;
  reason?: string;
  received_at: string;
  ended_at: string;
  steps?: { stage: string; name?: string; outcome?: string; started_us: number; took_us: number }[];
}

/** RFC 9457, with the fields that the desk's API adds. */
export interface Problem {
  title?: string;
  status?: number;
  detail?: string;
  /** Of a 403: what is missing. */
  permission?: string;
  /** Of a 409: who has it, or who decided. */
  by?: string;
  /** Of a 409 on a Rite: how it was decided. */
  phase?: RitePhase;
}

/** The session by which a Vigil names the whole Spirit. */
export const WHOLE_SPIRIT = "*";

/** The key of a conversation: unique across Spirits. */
export function keyOf(of: { spirit: string; session: string }): string {
  return `${of.spirit} ${of.session}`;
}
