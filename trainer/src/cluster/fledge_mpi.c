/* What fledge asks of MPI, behind an interface of its own. Implementations of MPI differ in their
 * binary interface, so this file is compiled with the cluster's own compiler, by `fledge mpi build`,
 * and any fledge program opens the library at run time.
 *
 * Only the thread that called fledge_mpi_start may call anything else. All functions return 0 or an
 * error code of MPI. Counts and starts are in units: bytes where `unit` is 1, f32 where it is 4. */
#include <mpi.h>
#include <string.h>

/* Changes with every change of a signature below. */
enum { INTERFACE_VERSION = 1 };

struct fledge_mpi_place {
    int rank, size;
    /* Rank in the world of the first process of this machine. */
    int node;
    /* Among the processes of this machine. */
    int local_rank;
    char library[128];
};

#define CHECK(call)                                                                                \
    do {                                                                                           \
        int code = (call);                                                                         \
        if (code != MPI_SUCCESS) return code;                                                      \
    } while (0)

static MPI_Datatype type_of(int unit) { return unit == 4 ? MPI_FLOAT : MPI_BYTE; }

int fledge_mpi_interface_version(void) { return INTERFACE_VERSION; }

int fledge_mpi_start(struct fledge_mpi_place *place) {
    int given, length = 0;
    char version[MPI_MAX_LIBRARY_VERSION_STRING];
    MPI_Comm machine;
    CHECK(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &given));
    if (given < MPI_THREAD_FUNNELED) return MPI_ERR_OTHER;
    CHECK(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
    CHECK(MPI_Comm_rank(MPI_COMM_WORLD, &place->rank));
    CHECK(MPI_Comm_size(MPI_COMM_WORLD, &place->size));
    CHECK(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine));
    CHECK(MPI_Comm_rank(machine, &place->local_rank));
    place->node = place->rank;
    CHECK(MPI_Bcast(&place->node, 1, MPI_INT, 0, machine));
    CHECK(MPI_Comm_free(&machine));
    CHECK(MPI_Get_library_version(version, &length));
    strncpy(place->library, version, sizeof place->library - 1);
    place->library[sizeof place->library - 1] = 0;
    return MPI_SUCCESS;
}

/* Everybody's part for everybody, in the order of ranks. */
int fledge_mpi_gather(const void *own, int count, void *all, const int *counts, const int *starts,
                      int unit) {
    return MPI_Allgatherv(own, count, type_of(unit), all, counts, starts, type_of(unit),
                          MPI_COMM_WORLD);
}

/* A part of everybody's for everybody. */
int fledge_mpi_exchange(const void *send, const int *send_counts, const int *send_starts,
                        void *receive, const int *receive_counts, const int *receive_starts,
                        int unit) {
    return MPI_Alltoallv(send, send_counts, send_starts, type_of(unit), receive, receive_counts,
                         receive_starts, type_of(unit), MPI_COMM_WORLD);
}

int fledge_mpi_end(void) { return MPI_Finalize(); }

void fledge_mpi_abort(int status) { MPI_Abort(MPI_COMM_WORLD, status); }

void fledge_mpi_error_text(int code, char *text, int size) {
    char whole[MPI_MAX_ERROR_STRING];
    int length = 0;
    if (MPI_Error_string(code, whole, &length) != MPI_SUCCESS) length = 0;
    whole[length] = 0;
    strncpy(text, whole, size - 1);
    text[size - 1] = 0;
}
