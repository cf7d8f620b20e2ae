"""Kernels that outlive JupyterLab's server, and cells whose output outlives the browser.

The keeper (`keeper`) is the first process of a project's sandbox. It owns the kernels and starts
JupyterLab's server beside them, so that the server can end and start again while cells go on.
Jupyter asks it for kernels through a provisioner (`provisioner`), and a server that starts takes up
the kernels it finds (`manager`). What cells print is kept in a file (`runs`), becomes what a cell
shows (`outputs`), and is put into the notebook where no window does it (`writer`). What killed a
kernel is said under the cell (`explaining`).
"""
