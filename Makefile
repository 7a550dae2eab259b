# Two commands: `make demo` and `make test`. The work is done by scripts/.
PORT ?= 8080
CORPUS ?=
PHRASES ?=
RECORDINGS ?=
MINUTES ?= 10

.PHONY: help demo test site package bench-web mpi
help:
	@echo 'make demo                     serve the students at http://127.0.0.1:$(PORT), and train a family beside them'
	@echo 'make demo CORPUS=FILE.jsonl   the same on your own speech (a NeMo-style manifest)'
	@echo 'make demo PHRASES=FILE        adapt the English students to a list of phrases, in minutes'
	@echo 'make test                     every check and test'
	@echo 'make bench-web                time the students: native, in the browser, and beside onnxruntime'
	@echo 'make site                     only build the site, into www/dist'
	@echo 'make mpi                      build what joins processes that mpirun or srun starts'
	@echo 'make package                  build what puts a student on another site, into dist/package'

demo:
	@PORT='$(PORT)' CORPUS='$(CORPUS)' PHRASES='$(PHRASES)' RECORDINGS='$(RECORDINGS)' MINUTES='$(MINUTES)' scripts/demo.sh

test:
	@scripts/test.sh

bench-web:
	@scripts/bench-web.sh

site:
	@scripts/build-site.sh

package: site
	@scripts/package.sh

mpi:
	@scripts/build-mpi.sh
