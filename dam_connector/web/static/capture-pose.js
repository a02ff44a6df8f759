// Where a phone is around a product, by the angles of `deviceorientation`: pure functions.
const RADIANS = Math.PI / 180;
const HIGH_TILT = 22;  // degrees down, from which a photo is of the high round
const STEADY_MS = 600;
const STEADY_DEGREES = 2.5;
const modulo = (value, of) => ((value % of) + of) % of;

// Return where the camera on the back looks: the heading in degrees, clockwise from north, and how far down.
export function cameraPose(alpha, beta, gamma) {
  const [a, b, g] = [alpha, beta, gamma].map((each) => each * RADIANS);
  const x = Math.cos(a) * Math.sin(g) + Math.sin(a) * Math.sin(b) * Math.cos(g);
  const y = Math.sin(a) * Math.sin(g) - Math.cos(a) * Math.sin(b) * Math.cos(g);
  const z = Math.cos(b) * Math.cos(g);
  return {
    heading: modulo(Math.atan2(-x, -y) / RADIANS, 360),
    tilt: Math.asin(Math.min(1, Math.max(-1, z))) / RADIANS,
  };
}

// Return how far a person has gone around the product to the right, in degrees, since the camera had a heading.
export const angleAround = (heading, start) => modulo(start - heading, 360);

// Return the heading at which somebody began who is at the angle of a place now.
export const startHeading = (heading, place, round) => modulo(heading + ((place % round) * 360) / round, 360);

// Return the place that is photographed from a pose, and how many degrees its middle is away.
export function placeAt({ heading, tilt }, start, round) {
  const angle = angleAround(heading, start);
  const step = 360 / round;
  const segment = Math.round(angle / step) % round;
  const off = Math.abs(modulo(angle - segment * step + 180, 360) - 180);
  return { place: segment + (tilt >= HIGH_TILT ? round : 0), off, angle };
}

// Return whether the last poses, each with its time in ms, are alike for long enough.
export function isSteady(poses, now) {
  const recent = poses.filter((pose) => now - pose.at <= STEADY_MS);
  if (recent.length < 4 || now - poses[0].at < STEADY_MS) return false;
  const last = recent.at(-1);
  return recent.every(({ heading, tilt }) => Math.abs(tilt - last.tilt) < STEADY_DEGREES
    && Math.abs(modulo(heading - last.heading + 180, 360) - 180) < STEADY_DEGREES);
}
