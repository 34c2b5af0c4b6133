/* A UVC camera for a process that is started with this library in LD_PRELOAD.
 *
 * Whoever opens /dev/full finds a V4L2 device behind it: MJPG and YUYV of 320x240 at 30 images a
 * second, and the control gain. MJPG images are the files 0.jpg, 1.jpg, 2.jpg of the folder
 * FAKE_V4L2, round and round. A file `unplugged` there takes the camera away, `silent` lets it give
 * nothing, `busy` lets another program have it. Structures and rules: linux/videodev2.h and the
 * kernel's V4L2 API. It exists so that OpenCV's own capture code runs where no camera is.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

enum { BUFFERS = 16, WIDTH = 320, HEIGHT = 240, LENGTH = 2 * WIDTH * HEIGHT, FILES = 3 };
#define DEVICE "/dev/full"
#define PERIOD_S (1.0 / 30)
#define EXPOSED_S 0.010 /* before the image is there */

static int is_camera[1024];
static unsigned char *images[BUFFERS];
static int queue[BUFFERS], queued, streaming, sequence, gain = 12;
static unsigned pixelformat = V4L2_PIX_FMT_YUYV;
static double due_s;

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

static int is(const char *state) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", getenv("FAKE_V4L2"), state);
    return access(path, F_OK) == 0;
}

static int fail(int error) {
    errno = error;
    return -1;
}

static int is_ours(int file) { return file >= 0 && file < 1024 && is_camera[file]; }

/* -- open, close, mmap, select ---------------------------------------------------------------- */

static int open_by(const char *name, const char *path, int flags, mode_t mode) {
    int (*next)(const char *, int, ...) = dlsym(RTLD_NEXT, name);
    int camera = !strcmp(path, DEVICE), file;
    if (camera && is("unplugged")) return fail(ENOENT);
    file = next(path, flags, mode);
    if (is_ours(file) || (camera && file >= 0 && file < 1024)) is_camera[file] = camera;
    return file;
}

#define OPEN(name)                                 \
    int name(const char *path, int flags, ...) {   \
        va_list rest;                              \
        va_start(rest, flags);                     \
        mode_t mode = va_arg(rest, int);           \
        va_end(rest);                              \
        return open_by(#name, path, flags, mode);  \
    }
OPEN(open)
OPEN(open64)

int close(int file) {
    int (*next)(int) = dlsym(RTLD_NEXT, "close");
    if (is_ours(file)) is_camera[file] = 0;
    return next(file);
}

#define MMAP(name, Offset)                                                                       \
    void *name(void *at, size_t length, int protection, int flags, int file, Offset offset) {    \
        void *(*next)(void *, size_t, int, int, int, Offset) = dlsym(RTLD_NEXT, #name);          \
        if (!is_ours(file)) return next(at, length, protection, flags, file, offset);            \
        return images[offset / LENGTH] = next(NULL, length, PROT_READ | PROT_WRITE,              \
                                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);               \
    }
MMAP(mmap, off_t)
MMAP(mmap64, off64_t)

int select(int count, fd_set *read, fd_set *write, fd_set *other, struct timeval *limit) {
    int (*next)(int, fd_set *, fd_set *, fd_set *, struct timeval *) = dlsym(RTLD_NEXT, "select");
    double end_s = now_s() + (limit ? limit->tv_sec + limit->tv_usec * 1e-6 : 1e9);
    int ours = 0;
    for (int file = 0; read && file < count; file++) ours |= FD_ISSET(file, read) && is_ours(file);
    if (!ours) return next(count, read, write, other, limit);
    while (now_s() < end_s) {
        if (is("unplugged") || (streaming && queued && !is("silent") && now_s() >= due_s)) return 1;
        usleep(1000);
    }
    FD_ZERO(read);
    return 0;
}

/* -- the device ------------------------------------------------------------------------------- */

static int fill(struct v4l2_buffer *buffer) {
    char path[512];
    double exposed_s;
    if (!queued || is("silent") || now_s() < due_s) return fail(EAGAIN);
    buffer->index = queue[0];
    memmove(queue, queue + 1, --queued * sizeof *queue);
    buffer->bytesused = LENGTH;
    memset(images[buffer->index], 0x80, LENGTH);
    if (pixelformat == V4L2_PIX_FMT_MJPEG) {
        snprintf(path, sizeof path, "%s/%d.jpg", getenv("FAKE_V4L2"), sequence % FILES);
        FILE *file = fopen(path, "rb");
        if (!file) return fail(EIO);
        buffer->bytesused = fread(images[buffer->index], 1, LENGTH, file);
        fclose(file);
    }
    exposed_s = now_s() - EXPOSED_S;
    buffer->timestamp.tv_sec = (long)exposed_s;
    buffer->timestamp.tv_usec = (exposed_s - (long)exposed_s) * 1e6;
    buffer->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC | V4L2_BUF_FLAG_DONE;
    buffer->length = LENGTH;
    buffer->sequence = sequence++;
    due_s += PERIOD_S;
    return 0;
}

static int format(struct v4l2_format *format, int change) {
    unsigned wanted = format->fmt.pix.pixelformat;
    if (change && is("busy")) return fail(EBUSY);
    if (change && (wanted == V4L2_PIX_FMT_MJPEG || wanted == V4L2_PIX_FMT_YUYV))
        pixelformat = wanted;
    format->fmt.pix.width = WIDTH;
    format->fmt.pix.height = HEIGHT;
    format->fmt.pix.pixelformat = pixelformat;
    format->fmt.pix.field = V4L2_FIELD_NONE;
    format->fmt.pix.sizeimage = LENGTH;
    format->fmt.pix.bytesperline = pixelformat == V4L2_PIX_FMT_YUYV ? 2 * WIDTH : 0;
    return 0;
}

static int next_control(struct v4l2_queryctrl *control) {
    unsigned asked = control->id & ~V4L2_CTRL_FLAG_NEXT_CTRL;
    if (!(control->id & V4L2_CTRL_FLAG_NEXT_CTRL) || asked >= V4L2_CID_GAIN) return fail(EINVAL);
    *control = (struct v4l2_queryctrl){.id = V4L2_CID_GAIN, .type = V4L2_CTRL_TYPE_INTEGER,
                                       .name = "Gain", .maximum = 255, .step = 1};
    return 0;
}

static int answer(unsigned long request, void *content) {
    struct v4l2_fmtdesc *description = content;
    struct v4l2_frmsizeenum *size = content;
    struct v4l2_frmivalenum *interval = content;
    struct v4l2_fract *period = &((struct v4l2_streamparm *)content)->parm.capture.timeperframe;
    struct v4l2_buffer *buffer = content;
    switch (request) {
    case VIDIOC_QUERYCAP:
        *(struct v4l2_capability *)content = (struct v4l2_capability){
            .driver = "uvcvideo", .card = "Fake",
            .capabilities = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING | V4L2_CAP_DEVICE_CAPS,
            .device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING};
        return 0;
    case VIDIOC_ENUM_FMT:
        if (description->index > 1) return fail(EINVAL);
        description->pixelformat = description->index ? V4L2_PIX_FMT_MJPEG : V4L2_PIX_FMT_YUYV;
        return !description->index || !is("raw") ? 0 : fail(EINVAL);
    case VIDIOC_ENUM_FRAMESIZES:
        if (size->index) return fail(EINVAL);
        size->type = V4L2_FRMSIZE_TYPE_DISCRETE;
        size->discrete = (struct v4l2_frmsize_discrete){WIDTH, HEIGHT};
        return 0;
    case VIDIOC_ENUM_FRAMEINTERVALS:
        if (interval->index || interval->width != WIDTH || interval->height != HEIGHT)
            return fail(EINVAL);
        interval->type = V4L2_FRMIVAL_TYPE_DISCRETE;
        interval->discrete = (struct v4l2_fract){1, 30};
        return 0;
    case VIDIOC_S_PARM:
    case VIDIOC_G_PARM:
        *period = (struct v4l2_fract){1, 30};
        return 0;
    case VIDIOC_G_FMT: return format(content, 0);
    case VIDIOC_S_FMT: return format(content, 1);
    case VIDIOC_QUERYCTRL: return next_control(content);
    case VIDIOC_G_CTRL: ((struct v4l2_control *)content)->value = gain; return 0;
    case VIDIOC_S_CTRL: gain = ((struct v4l2_control *)content)->value; return 0;
    case VIDIOC_REQBUFS: queued = 0; return 0;
    case VIDIOC_QUERYBUF:
        buffer->length = LENGTH;
        buffer->m.offset = buffer->index * LENGTH;
        return 0;
    case VIDIOC_QBUF: queue[queued++] = buffer->index; return 0;
    case VIDIOC_DQBUF: return fill(buffer);
    case VIDIOC_STREAMON: streaming = 1; due_s = now_s() + PERIOD_S; return 0;
    case VIDIOC_STREAMOFF: streaming = queued = 0; return 0;
    default: return fail(ENOTTY);
    }
}

int ioctl(int file, unsigned long request, ...) {
    va_list rest;
    va_start(rest, request);
    void *content = va_arg(rest, void *);
    va_end(rest);
    int (*next)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
    if (!is_ours(file)) return next(file, request, content);
    return is("unplugged") ? fail(ENODEV) : answer(request & 0xffffffff, content);
}
