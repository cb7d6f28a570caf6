"""A library that starts a thread when it is imported.

Not a test.
"""

import threading

threading.Thread(target=threading.Event().wait, daemon=True).start()
