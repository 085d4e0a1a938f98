import type { ComponentChildren } from "preact";

function icon(paths: ComponentChildren) {
  return ({ size = 18 }: { size?: number }) => (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width="1.8"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      {paths}
    </svg>
  );
}

export const Search = icon(<><circle cx="11" cy="11" r="6.500" /><path d="M16 16l4.500 4.500" /></>);
export const Cross = icon(<path d="M6 6l12 12M18 6L6 18" />);
export const Back = icon(<path d="M19 12H5M11 6l-6 6 6 6" />);
export const Hand = icon(
  <path d="M8 12V6a1.500 1.500 0 013 0v5-6.500a1.500 1.500 0 013 0V11V6a1.500 1.500 0 013 0v8a6.500 6.500 0 01-6.500 6.500c-2.700 0-4.100-1-5.500-3.200l-2.300-3.700a1.500 1.500 0 012.500-1.600L8 14" />,
);
export const Agent = icon(<><rect x="4.500" y="8" width="15" height="11" rx="3.500" /><path d="M12 8V4.500M9.500 13v1M14.500 13v1" /></>);
export const Send = icon(<path d="M5 12L4 5l16.500 7L4 19l1-7zm0 0h7" />);
export const Tool = icon(<path d="M14.500 6.500a4 4 0 015-1.500l-2.700 2.700 1.500 1.500L21 6.500a4 4 0 01-5.300 5L8 19.200A2 2 0 114.800 16l7.700-7.700a4 4 0 012-1.800z" />);
export const Shield = icon(<><path d="M12 3.500l7 2.500v5.500c0 4.300-2.900 7.500-7 9-4.100-1.500-7-4.700-7-9V6l7-2.500z" /><path d="M9 12l2.200 2.200L15.200 10" /></>);
export const Stop = icon(<><path d="M8.300 3.500h7.400l4.800 4.800v7.400l-4.800 4.800H8.300l-4.800-4.800V8.300l4.800-4.800z" /><path d="M12 8v5M12 16v.1" /></>);
export const Sliders = icon(<><path d="M4 7h9M17 7h3M4 17h3M11 17h9" /><circle cx="15" cy="7" r="2" /><circle cx="9" cy="17" r="2" /></>);
export const Help = icon(<><circle cx="12" cy="12" r="8.500" /><path d="M9.700 9.500a2.400 2.400 0 114 1.800c-1 .8-1.700 1.300-1.700 2.400M12 16.700v.1" /></>);
export const Eye = icon(<><path d="M2.500 12S6 5.500 12 5.500 21.500 12 21.500 12 18 18.500 12 18.500 2.500 12 2.500 12z" /><circle cx="12" cy="12" r="2.800" /></>);
export const Chevron = icon(<path d="M9 6l6 6-6 6" />);
export const Down = icon(<path d="M12 5v14M6 13l6 6 6-6" />);
export const File = icon(<path d="M13.500 3.500H7a2 2 0 00-2 2v13a2 2 0 002 2h10a2 2 0 002-2V9l-5.500-5.500zm0 0V9H19" />);
export const Picture = icon(<><rect x="3.500" y="5" width="17" height="14" rx="2.500" /><circle cx="9" cy="10" r="1.500" /><path d="M4 17l5-4 3.500 2.500L16 12l4.500 4" /></>);
export const Sound = icon(<path d="M5 10v4M9 7v10M13 9v6M17 5v14M20.500 11v2" />);
export const Return = icon(<path d="M9 7L4.500 11.500 9 16M5 11.500h9.500a5 5 0 015 5V18" />);
export const Unplugged = icon(<path d="M4 4l16 16M8.500 8.500a9 9 0 00-3.800 2.200M2 8a14 14 0 013.600-2.500M10 5.100A14 14 0 0122 8.500M12.800 10.100a9 9 0 016.500 2.600M8.200 15.400a5.500 5.500 0 015.400-.8M12 19v.1" />);

/** The mark: a shoot with two leaves. */
export function Mark({ size = 28 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false" class="mark">
      <rect width="32" height="32" rx="9" />
      <path d="M16 26V13M16 17c-4.800 0-7.500-2.700-7.500-7.500 4.800 0 7.500 2.700 7.500 7.500zM16 21c4.300 0 7-2.400 7-6.700-4.300 0-7 2.400-7 6.700z" />
    </svg>
  );
}
