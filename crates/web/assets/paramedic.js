// Keeps a page true: parts that have changed come as events, and take the place of the old ones.
"use strict";
